import java.io.File;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.VeraPDFFoundry;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/** Checks PDFs against PDF/UA-1. For each file a line: how many checks; and for each that failed a line more, which begins with a tab. */
public final class CheckPdf {
    public static void main(String[] paths) throws Exception {
        Logger.getLogger("").setLevel(Level.SEVERE);
        VeraGreenfieldFoundryProvider.initialise();
        VeraPDFFoundry foundry = Foundries.defaultInstance();
        for (String path : paths) {
            try (PDFAParser parser = foundry.createParser(new File(path), PDFAFlavour.PDFUA_1);
                    PDFAValidator validator = foundry.createValidator(PDFAFlavour.PDFUA_1, false)) {
                ValidationResult result = validator.validate(parser);
                System.out.println(result.getTotalAssertions());
                if (result.getTestAssertions().isEmpty() != result.isCompliant()) {
                    throw new IllegalStateException("the verdict isn't what its parts say");
                }
                for (TestAssertion each : result.getTestAssertions()) {
                    System.out.println("\t" + each.getRuleId().getClause() + " " + each.getMessage() + " " + each.getLocation().getContext().replace('\n', ' '));
                }
            }
        }
    }
}
